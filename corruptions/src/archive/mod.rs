//! The official file layouts.
