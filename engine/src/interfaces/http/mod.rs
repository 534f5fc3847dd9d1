//! The HTTP routes, one file a feature.
