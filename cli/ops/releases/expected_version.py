"""The version of a list that a command expects, as an option: `shop=7`."""

import click


class ExpectedVersion(click.ParamType[tuple[str, int]]):
    """A price list and a version of it, `LIST=VERSION`; the version is 0 for a list that has none."""

    name = "expected version"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return the list and the version. Raises `BadParameter` for another text."""
        if isinstance(value, tuple):
            return value
        price_list, _, version = value.partition("=")
        if not price_list or not (version.isascii() and version.isdigit()):
            self.fail(f"{value!r} is not LIST=VERSION, such as shop=7.", param, ctx)
        return price_list, int(version)
