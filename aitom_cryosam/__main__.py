"""`python -m aitom_cryosam`, the same as `cryosam`."""

import sys

from aitom_cryosam.cli import main

sys.exit(main())
