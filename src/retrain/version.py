"""The version of this tool; the packaging reads it from here."""

VERSION = "0.1.0"
