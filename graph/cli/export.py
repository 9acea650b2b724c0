"""`pricebook export`: a version of a price list becomes a file that `pricebook import` takes back."""

import asyncio
import os
import sys
from pathlib import Path
from typing import BinaryIO

import click

from graph.cli.advance import Advance
from graph.cli.api import DEFAULT_ENDPOINT
from graph.cli.export_files import written
from graph.cli.exporter import Ask, Exported, Exporter
from graph.cli.price_files import Format
from graph.cli.retrying_api import RetryingApi, open_client

_EXIT_CODES = """\b
Exit codes:
    0  exported
    1  no answer, no such list or version, the file cannot be written, or CSV cannot say what it holds
    2  the command line is wrong
  130  interrupted
"""
