"""Profiles: named, validated settings (`smoke`, `laptop`, `code`, `smol`, `real`, `gpu`, `cluster`), a TOML file each."""

from kimi_pipeline.profiles.profile import Profile, load_profile, profile_names

__all__ = ["Profile", "load_profile", "profile_names"]
