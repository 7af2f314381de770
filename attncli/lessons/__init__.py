"""Lessons: problems that are really computed, told in scenes, with questions in between.

A lesson is a YAML file; whatever number its text holds is computed when it is shown.
"""
