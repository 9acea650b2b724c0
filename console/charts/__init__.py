"""Pictures of prices and versions."""
