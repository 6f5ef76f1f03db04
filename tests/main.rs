//! Black box: HTTP in, HTTP out, through the local system. A file per family of rules.

mod authorization;
mod bad_input;
mod browser;
mod budget;
mod calling;
mod clients;
mod discovery;
mod events;
mod exchange;
mod house;
mod journey;
mod refreshing;
mod registration;
mod release;
mod revocation;
mod script;
mod template;
