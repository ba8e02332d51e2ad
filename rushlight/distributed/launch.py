"""The former name of `rushlight.distributed.run`."""

from rushlight.distributed.run import main

if __name__ == "__main__":
    main()
