"""Quizzes: questions to click, answers kept beside the notebook, and their marks."""
