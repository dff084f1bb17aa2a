//! The reports as their users meet them: metrics on rows small enough to count by hand, and
//! whole reports of a synthetic run.

mod bracket;
mod comparable;
mod diagnosis;
mod end_to_end;
mod gate;
mod history;
mod metrics;
mod names;
mod new_attack;
mod picture;
mod private;
mod record;
mod reduction;
mod runs;
mod score;
mod sections;
mod students;
#[allow(dead_code)]
mod synthetic;
mod trainings;
mod unlike_sets;
