"""Settings: environment variables, parsed and checked before anything starts."""

from graph.settings.settings import VARIABLES, Settings, SettingsError, masked

__all__ = ["VARIABLES", "Settings", "SettingsError", "masked"]
