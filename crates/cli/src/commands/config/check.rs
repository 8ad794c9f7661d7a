//! `config check`: whether the service would start with it.

use serde::Serialize;

use super::warnings;
use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Check the configuration, and the files that it names
///
/// Exits with 2 and says where and what is wrong, and what to write instead.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    listen: Listen,
}

#[derive(Serialize)]
struct Checked {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    server::check(&config)?;
    let warnings = warnings(&config);
    let file = config.file.map(|file| file.display().to_string());
    let read = match &file {
        Some(file) => format!("`{file}` is valid"),
        None => "no configuration file; the defaults are valid".to_owned(),
    };
    if ui.is_json() {
        ui.print("", &Checked { valid: true, file, warnings })?;
    } else {
        for warning in warnings {
            ui.note(format_args!("warning: {warning}"));
        }
        ui.note(read);
    }
    Ok(Answer::Yes)
}
