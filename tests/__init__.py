"""Tests of attncli; a package, so that they share their oracle and their writer of problems."""
