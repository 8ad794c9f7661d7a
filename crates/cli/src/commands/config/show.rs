//! `config show`: every value and where it came from.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Print every value and where it came from
///
/// The text is a configuration file that means the same, without passwords.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    listen: Listen,
}

#[derive(Serialize)]
struct Shown {
    values: toml::Table,
    /// By the name of the key, `table.key` within a table.
    origins: BTreeMap<String, String>,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    let text = config.show();
    let values: toml::Table = toml::from_str(&text).map_err(CommandError::new)?;
    let keys = values.iter().flat_map(|(key, value)| match value {
        toml::Value::Table(table) => table.keys().map(|inner| format!("{key}.{inner}")).collect(),
        _ => vec![key.clone()],
    });
    let origins =
        keys.map(|key| (config.origins.of(&key).to_string(), key)).map(|(origin, key)| (key, origin));
    let shown = Shown { origins: origins.collect(), values };
    ui.print(text, &shown)?;
    Ok(Answer::Yes)
}
