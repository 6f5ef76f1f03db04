//! `amble`, the program itself, against the local system and a stack of moto's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod applying;
mod clients;
mod doctor;
mod first_deployment;
mod front;
mod operating;
mod program;
mod reaching;
mod supabase;
