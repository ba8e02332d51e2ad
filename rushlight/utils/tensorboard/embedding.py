"""The files that TensorBoard's projector reads: vectors, labels and small pictures."""

import json
import os

import numpy as np

from rushlight.utils.tensorboard._convert_np import make_np
from rushlight.utils.tensorboard._utils import make_grid
from rushlight.utils.tensorboard.summary import make_image


def write_embedding(folder: str, mat, metadata, label_img, metadata_header) -> None:
    """Write vectors and what belongs to them.

    Args:
        folder: where to.
        mat: the vectors, (N, D).
        metadata: N labels, or N rows of labels if there is a header; or None.
        label_img: N pictures, (N, C, H, W), or None.
        metadata_header: names of the columns of labels, or None.
    Raises:
        AssertionError: their numbers differ, or `mat` isn't of 2 dimensions.
    """
    if mat.ndim != 2:
        raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
    if metadata is not None:
        if len(mat) != len(metadata):
            raise AssertionError("#labels should equal with #data points")
        _write_table(os.path.join(folder, "metadata.tsv"), metadata, metadata_header)
    if label_img is not None:
        if len(mat) != len(label_img):
            raise AssertionError("#images should equal with #data points")
        _write_sprite(os.path.join(folder, "sprite.png"), make_np(label_img))
    with open(os.path.join(folder, "tensors.tsv"), "w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(str(value.item()) for value in row) + "\n" for row in mat)


def _write_table(path: str, metadata, header) -> None:
    if header:
        if len(header) != len(metadata[0]):
            raise AssertionError("len of header must be equal to the number of columns in metadata")
        metadata = ["\t".join(map(str, row)) for row in [header, *metadata]]
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{label}\n" for label in metadata)


def _write_sprite(path: str, pictures: np.ndarray) -> None:
    """All pictures in one square."""
    grid = make_grid(pictures, ncols=int(np.ceil(len(pictures) ** 0.5))).transpose(1, 2, 0)
    square = np.zeros((grid.shape[1], grid.shape[1], 3))
    square[: len(grid)] = grid
    pixels = (square * 255).clip(0, 255).astype(np.uint8)
    with open(path, "wb") as file:
        file.write(make_image(pixels).encoded_image_string)


def embedding_config(tag: str, subdir: str, global_step, metadata, label_img) -> str:
    """What the projector is told of an embedding (Protocol Buffers' text form)."""
    lines = [f"tensor_name: {json.dumps(f'{tag}:{str(global_step).zfill(5)}', ensure_ascii=False)}"]
    if metadata is not None:
        lines.append(f"metadata_path: {json.dumps(f'{subdir}/metadata.tsv', ensure_ascii=False)}")
    if label_img is not None:
        height, width = label_img.shape[2:]
        lines += [
            "sprite {",
            f"  image_path: {json.dumps(f'{subdir}/sprite.png', ensure_ascii=False)}",
            f"  single_image_dim: {width}",
            f"  single_image_dim: {height}",
            "}",
        ]
    lines.append(f"tensor_path: {json.dumps(f'{subdir}/tensors.tsv', ensure_ascii=False)}")
    return "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
