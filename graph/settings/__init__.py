"""Settings: environment variables, parsed and validated at startup."""

from graph.settings.settings import VARIABLES, Settings
from graph.settings.variables import SettingsError, masked

__all__ = ["VARIABLES", "Settings", "SettingsError", "masked"]
