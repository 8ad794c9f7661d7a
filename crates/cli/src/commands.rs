//! One file per verb: its arguments, whose doc comments are its help, and what it does with them.
//! A verb must not print but through `ui`, nor know how the things that it asks for are done.

mod audit;
mod backup;
mod close;
mod completions;
mod config;
mod doctor;
mod export;
mod fsck;
mod import;
mod init;
mod man;
mod monitor;
mod policy;
mod proof;
mod restore;
mod serve;
mod signals;
mod stranger;
mod supersede;
mod thaw;
mod verify;
mod witness;

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Serve(serve::Args),
    Init(init::Args),
    Supersede(supersede::Args),
    Thaw(thaw::Args),
    Verify(verify::Args),
    Proof(proof::Args),
    Audit(audit::Args),
    Monitor(Box<monitor::Args>),
    #[command(subcommand)]
    Witness(witness::Command),
    Fsck(fsck::Args),
    Backup(backup::Args),
    Export(export::Args),
    Restore(restore::Args),
    Close(close::Args),
    Import(import::Args),
    #[command(subcommand)]
    Config(config::Command),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Policy(policy::Command),
    Completions(completions::Args),
    Man(man::Args),
}

/// Does it.
pub(crate) fn run(ui: &Ui, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::Serve(args) => serve::run(ui, args),
        Command::Init(args) => init::run(ui, args),
        Command::Supersede(args) => supersede::run(ui, args),
        Command::Thaw(args) => thaw::run(ui, args),
        Command::Verify(args) => verify::run(ui, args),
        Command::Proof(args) => proof::run(ui, args),
        Command::Audit(args) => audit::run(ui, &args),
        Command::Monitor(args) => monitor::run(ui, *args),
        Command::Witness(command) => witness::run(ui, command),
        Command::Fsck(args) => fsck::run(ui, args),
        Command::Backup(args) => backup::run(ui, args),
        Command::Export(args) => export::run(ui, args),
        Command::Restore(args) => restore::run(ui, args),
        Command::Close(args) => close::run(ui, args),
        Command::Import(args) => import::run(ui, args),
        Command::Config(command) => config::run(ui, command),
        Command::Doctor(args) => doctor::run(ui, args),
        Command::Policy(command) => policy::run(ui, command),
        Command::Completions(args) => completions::run(ui, args),
        Command::Man(args) => man::run(ui, args),
    }
}

/// Says that there is no log, where there is none, before anything less plain is said.
fn require_log(options: &ledger::Options) -> Result<(), CommandError> {
    if ledger::presence(options).is_none() {
        return Err(ledger::OpenError::NoLog { data_dir: options.data_dir.clone() }.into());
    }
    Ok(())
}
