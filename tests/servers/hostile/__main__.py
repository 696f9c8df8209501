"""`python -m tests.servers.hostile`."""

from tests.servers.hostile.start import main

if __name__ == "__main__":
    main()
