//! The pipeline file as its users meet it: what is accepted, what is refused and where.

mod diagnostics;
mod effects;
mod guard;
mod guarded_database;
mod hostile;
mod meaning;
mod properties;
mod steered;
