//! `amble completions`: what a shell needs to complete commands.

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use serde_json::json;

use crate::output::Output;

/// For which shell.
#[derive(Args)]
#[command(
    after_help = "bash:  source <(amble completions bash)\nzsh:   amble completions zsh > \"${fpath[1]}/_amble\"\nfish:  amble completions fish | source"
)]
pub(crate) struct Command {
    /// Which shell
    shell: SupportedShell,
}

/// The shells that are known.
#[derive(Clone, Copy, ValueEnum)]
enum SupportedShell {
    Bash,
    Zsh,
    Fish,
}

/// `amble` is what is completed.
pub(crate) fn run(command: &Command, mut amble: clap::Command) -> Output {
    let shell = match command.shell {
        SupportedShell::Bash => Shell::Bash,
        SupportedShell::Zsh => Shell::Zsh,
        SupportedShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut amble, "amble", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "script": text });
    Output { text, json }
}
