//! Giving up rights that are no longer needed.
