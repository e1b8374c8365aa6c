"""`python -m dagkit`."""

from __future__ import annotations

import sys

from dagkit.cli import main

sys.exit(main())
