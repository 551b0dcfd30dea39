"""What the process that is forked imports; importing this is the only way to tell it."""

from tests.support.processes import import_all

import_all()
