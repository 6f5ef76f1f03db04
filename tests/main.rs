//! Black box: HTTP in, HTTP out, through the local system. A file per family of rules.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod attacks;
mod audit;
mod authorization;
mod bad_input;
mod browser;
mod budget;
mod calling;
mod clients;
mod conformance;
mod discovery;
mod documents;
mod entities;
mod events;
mod exchange;
mod faults;
mod flow_log;
mod house;
mod interleavings;
mod isolation;
mod journey;
mod keys;
mod metadata_documents;
mod operation;
mod races;
mod recovery;
mod redirect_addresses;
mod refreshing;
mod registration;
mod release;
mod resources;
mod revocation;
mod script;
mod sequences;
mod step_up;
mod template;
mod tenant_addresses;
mod tools;
mod workspace_file;
