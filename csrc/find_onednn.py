"""Print `INCLUDE;LIBRARY` of the oneDNN wheels that pip installed for this build."""

import importlib.metadata
import sys


def locate(distribution: str, ending: str) -> str:
    for file in importlib.metadata.files(distribution) or ():
        if str(file).endswith(ending):
            return str(file.locate().resolve())
    raise FileNotFoundError(f"{distribution} carries no {ending}")


try:
    header = locate("onednn-devel-cpu-gomp", "include/dnnl.hpp")
    library = locate("onednn-cpu-gomp", "libdnnl.so.3")
except (importlib.metadata.PackageNotFoundError, FileNotFoundError) as error:
    sys.exit(f"oneDNN not found: {error}")
print(f"{header.removesuffix('/dnnl.hpp')};{library}", end="")
