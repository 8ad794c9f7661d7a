//! The one binary: parse, run, exit.
//! It must not know any verb; those are in `commands`.

mod args;
mod commands;
mod error;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::ui::Ui;

// Many small allocations from many threads, which the allocator of musl serves one after the other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only where a provider is installed already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Args::try_parse_from(&arguments) {
        Ok(Args { global, command }) => {
            let ui = Ui::new(&global);
            ui.end(commands::run(&ui, command))
        }
        Err(error) => Ui::unparsed(&arguments).end_unparsed(error),
    }
}
