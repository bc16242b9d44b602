//! The page that people look refusals up in.

use std::path::Path;

#[test]
fn the_page_of_refusals_is_the_catalogue() -> std::io::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/refusals.md");
    let wanted = postrider_ingest::catalogue::page();
    if std::fs::read_to_string(&page).ok().as_deref() == Some(&wanted) {
        return Ok(());
    }
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refusals.md");
    std::fs::write(&made, wanted)?;
    let (made, page) = (made.display(), page.display());
    Err(std::io::Error::other(format!(
        "the catalogue has changed; take its page: cp {made} {page}"
    )))
}
