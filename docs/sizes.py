"""Print the lines of every source file, largest first; files over the limits stand out."""

import pathlib

ROOT = pathlib.Path(__file__).parent.parent
LIMIT = 600


def main() -> None:
    """Count lines under rushlight/ and csrc/."""
    files = [
        p
        for d in ("rushlight", "csrc")
        for p in (ROOT / d).rglob("*")
        if p.suffix in (".py", ".cpp", ".h", ".inl")
    ]
    sizes = sorted(((len(p.read_text().splitlines()), p.relative_to(ROOT)) for p in files), reverse=True)
    for lines, path in sizes[:15]:
        print(f"{lines:6} {path}{'   <- wants splitting' if lines > LIMIT else ''}")
    for kind, suffixes in (("Python", (".py",)), ("C++", (".cpp", ".h", ".inl"))):
        chosen = [lines for lines, path in sizes if path.suffix in suffixes]
        print(f"{sum(chosen):6} lines of {kind} in {len(chosen)} files")


if __name__ == "__main__":
    main()
