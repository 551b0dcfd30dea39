"""Programs of people who do not know this package: `tools.check_setups` runs them before it is installed, and after."""
