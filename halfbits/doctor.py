"""``python -m halfbits.doctor``: see :mod:`halfbits.environment`."""

import sys

from halfbits.environment import main

sys.exit(main())
