"""Badges: who gets one, how it is signed and drawn, and whether one is genuine."""
