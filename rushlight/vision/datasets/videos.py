"""Data sets of videos, which are not decoded here: the names are there so that programs that import them run."""

from rushlight.vision.datasets.vision import VisionDataset


def _refuse(name: str):
    raise NotImplementedError(
        f"{name}: videos are not decoded here; take their frames out first, such as by "
        "`ffmpeg -i clip.avi clip/%05d.jpg`, and read them with ImageFolder or DatasetFolder"
    )


class HMDB51(VisionDataset):
    """Videos of 51 human actions; not available, see the error.

    Raises:
        NotImplementedError: always; it says what to do instead.
    """

    def __init__(
        self,
        root,
        annotation_path,
        frames_per_clip,
        step_between_clips=1,
        frame_rate=None,
        fold=1,
        train=True,
        transform=None,
        _precomputed_metadata=None,
        num_workers=1,
        _video_width=0,
        _video_height=0,
        _video_min_dimension=0,
        _audio_samples=0,
        output_format="THWC",
    ):
        _refuse("HMDB51")


class UCF101(VisionDataset):
    """Videos of 101 human actions; not available, see the error.

    Raises:
        NotImplementedError: always; it says what to do instead.
    """

    def __init__(
        self,
        root,
        annotation_path,
        frames_per_clip,
        step_between_clips=1,
        frame_rate=None,
        fold=1,
        train=True,
        transform=None,
        _precomputed_metadata=None,
        num_workers=1,
        _video_width=0,
        _video_height=0,
        _video_min_dimension=0,
        _audio_samples=0,
        output_format="THWC",
    ):
        _refuse("UCF101")


class Kinetics(VisionDataset):
    """Videos of 400, 600 or 700 human actions; not available, see the error.

    Raises:
        NotImplementedError: always; it says what to do instead.
    """

    def __init__(
        self,
        root,
        frames_per_clip,
        num_classes="400",
        split="train",
        frame_rate=None,
        step_between_clips=1,
        transform=None,
        extensions=("avi", "mp4"),
        download=False,
        num_download_workers=1,
        num_workers=1,
        _precomputed_metadata=None,
        _video_width=0,
        _video_height=0,
        _video_min_dimension=0,
        _audio_samples=0,
        _audio_channels=0,
        _legacy=False,
        output_format="TCHW",
    ):
        _refuse("Kinetics")
