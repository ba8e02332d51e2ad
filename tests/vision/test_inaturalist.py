"""iNaturalist's folders against torchvision's reading of them."""

import pytest

from rushlight.vision import datasets
from tests.vision.datasets_oracle import picture, plain, theirs

SPECIES = (
    "Animalia_Chordata_Aves_Passeriformes_Corvidae_Pica_pica",
    "Animalia_Chordata_Aves_Anseriformes_Anatidae_Anas_crecca",
)
FOLDERS = {
    "2021_valid": [f"{i:05d}_{name}" for i, name in enumerate(SPECIES)],
    "2018": ["Aves/1", "Aves/0", "Plantae/2"],
    "2017": ["Aves/Pica pica", "Plantae/Bellis perennis"],
}


@pytest.mark.parametrize("version", FOLDERS)
def test_as_torchvision(tmp_path, version):
    for folder in FOLDERS[version]:
        for name in "ab":
            picture(tmp_path / version / folder / f"{name}.png")
    ranks = ["full", "genus", "family"] if version.startswith("2021") else ["super", "full"]
    for target in (ranks, "full"):
        made = [space.INaturalist(str(tmp_path), version, target) for space in (datasets, theirs())]
        ours, oracle = made
        assert (ours.all_categories, ours.categories_map) == (oracle.all_categories, oracle.categories_map)
        assert ours.categories_index == oracle.categories_index and ours.index == oracle.index
        assert repr(ours) == repr(oracle)
        for i in range(len(oracle)):
            assert plain(ours[i]) == plain(oracle[i])
        assert ours.category_name(ranks[-1], 1) == oracle.category_name(ranks[-1], 1)
    with pytest.raises(ValueError, match="Invalid category type"):
        ours.category_name("tribe", 0)


@pytest.mark.parametrize(
    "version, folders, message",
    [
        ("2018", ["Aves/pica"], "non-numeric"), ("2018", ["Aves/1"], "Missing category 0"),
        ("2019", ["Aves/0", "Plantae/0"], "Duplicate"), ("2021_train", ["00001_" + SPECIES[0]], "expecting 00000"),
        ("2021_train", ["00000_Aves"], "wrong number of pieces"), ("2017", [], "not found"),
    ],
)  # fmt: skip
def test_errors(tmp_path, version, folders, message):
    for folder in folders:
        (tmp_path / version / folder).mkdir(parents=True)
    for space in (datasets, theirs()):
        with pytest.raises(RuntimeError, match=message):
            space.INaturalist(str(tmp_path), version)
