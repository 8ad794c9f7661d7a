//! What a Rekor v1 has under the tags that are named, beside the statements that the service shows of them.

use sigstore::{Sigstore, Statement};

use super::Suspect;
use super::published::{Published, hex};
use crate::error::CommandError;
use crate::ui::Ui;

/// Statements of one tag: how often an operator may have pinned it anew.
const MAX_STATEMENTS: usize = 1000;

/// What is not explained under these tags.
pub(super) async fn look_up(
    ui: &Ui,
    sigstore: &Sigstore,
    published: &Published<'_>,
    tags: &[String],
) -> Result<Vec<Suspect>, CommandError> {
    let (mut suspects, mut shown) = (Vec::new(), 0);
    for tag in tags {
        let statements = statements(published, tag).await?;
        shown += statements.len();
        let entries = sigstore.unexplained(tag, &statements).await.map_err(CommandError::new)?;
        suspects.extend(entries.into_iter().map(|entry| Suspect::Entry {
            tag: tag.clone(),
            index: entry.index,
            uuid: entry.uuid,
        }));
    }
    let looked_up = tags.len();
    ui.note(format_args!(
        "{looked_up} tags looked up, {shown} statements shown, entries not explained: {}",
        suspects.len()
    ));
    Ok(suspects)
}

/// The newest statement of a tag that the service shows, and those before it.
async fn statements(published: &Published<'_>, tag: &str) -> Result<Vec<Statement>, CommandError> {
    let mut statements = Vec::new();
    let mut next = published.tag(tag).await?;
    while let Some(record) = next {
        let previous = record.statement.previous;
        statements.push(record.statement);
        next = match previous {
            Some(hash) if statements.len() < MAX_STATEMENTS => published.statement(&hex(hash)).await?,
            _ => None,
        };
    }
    Ok(statements)
}
