//! `amble`, the program itself, against the local system and a stack of moto's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod apply;
mod aws_proxy;
mod clients;
mod connectivity;
mod doctor;
mod first_deployment;
mod migration;
mod operator;
mod program;
mod response_proxy;
mod supabase;
