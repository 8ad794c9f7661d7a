//! Files of cosigners' keys: made once, readable by one user, never overwritten.
//! It must not know what is signed with them.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tlog::{KeyAlgorithm, SigningKey};

use crate::commands::stranger;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Makes an auditor's key and shows its public half.
pub(super) fn make(ui: &Ui, name: &str, file: &Path) -> Result<Answer, CommandError> {
    let seed = seed()?;
    let key = SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &seed).map_err(|error| {
        CommandError::new(error).hinted("a name is like `auditor.example/x`: printable, no space, no `+`")
    })?;
    write_key(file, &key)?;
    let verifier = key.verifier().to_string();
    ui.print(&verifier, &serde_json::json!({ "verifier_key": verifier }))?;
    ui.note(format_args!("made the key of an auditor in `{}`; keep it to yourself", file.display()));
    ui.note(format_args!("publish with it what it states:\n  {}", audit::cosign::STATEMENT));
    Ok(Answer::Yes)
}

/// An auditor's key from its file.
pub(super) fn read(file: &Path) -> Result<SigningKey, CommandError> {
    let text = stranger::read(file)?;
    SigningKey::from_private_form(text.trim_end()).map_err(|_what_it_holds_is_secret| {
        CommandError::new(anyhow::anyhow!("`{}` does not hold a key (`PRIVATE+KEY+…`)", file.display()))
            .hinted("`tlogistry audit --make-key NAME --cosign FILE` makes one")
    })
}

/// Random bytes for a key.
fn seed() -> Result<[u8; 32], CommandError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| CommandError::new(error).because_of("the operating system gave no random bytes"))?;
    Ok(seed)
}

/// Writes a new key file, mode 0600.
fn write_key(file: &Path, key: &SigningKey) -> Result<(), CommandError> {
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{}", key.to_private_form())?;
        file.sync_all()
    };
    written().map_err(|error: std::io::Error| {
        let error = CommandError::new(error).because_of(format!("cannot write the key `{}`", file.display()));
        error.hinted("a key is never overwritten; name a new file where this user may write")
    })
}
