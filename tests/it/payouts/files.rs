//! Files that go with payouts: what is kept, what is refused, and what happens when one is lost.

use std::os::unix::fs::PermissionsExt as _;

use rampwatch::adapters::attachments::{AttachmentFiles, AttachmentSettings};
use rampwatch::domain::chain::B256;
use rampwatch::ports::attachments::{AttachmentError, Attachments as _};
use rampwatch::view::payout::{FileRef, Fund, PayoutRequest};

use super::bench::{Bench, request};
use crate::support::temp_dir;

#[tokio::test(start_paused = true)]
async fn a_file_goes_along_and_a_lost_one_comes_before_a_person() {
    let mut bench = Bench::new().await;
    let life = bench.start(0);
    let content = b"%PDF-1.7 an invoice".to_vec();
    let put = life.handle.put_attachment(content.clone(), "application/pdf").await.unwrap();
    let file = FileRef { name: "invoice.pdf".to_owned(), ..put.clone() };
    let wish = PayoutRequest { files: vec![file.clone()], ..request("rent-1", Fund::ByHand) };
    life.place(&wish).await;
    let view = life.until_state("rent-1", "created").await;
    assert_eq!(view.request.files.as_slice(), std::slice::from_ref(&file));
    let other = FileRef { digest: "0".repeat(64), ..file.clone() };
    let refused =
        life.handle.place_payout(&PayoutRequest { files: vec![other], ..request("rent-2", Fund::ByHand) }).await;
    assert!(refused.unwrap_err().to_string().starts_with("files: no file with the digest"));
    let wrong = FileRef { bytes: 7, ..file.clone() };
    let refused =
        life.handle.place_payout(&PayoutRequest { files: vec![wrong], ..request("rent-2", Fund::ByHand) }).await;
    assert!(refused.unwrap_err().to_string().contains("has 19 bytes"));
    for (kind, content) in [("application/pdf", b"<html>".as_slice()), ("text/html", b"<html>"), ("image/png", b"")] {
        let refused = life.handle.put_attachment(content.to_vec(), kind).await.unwrap_err();
        assert!(refused.to_string().starts_with("file: "), "{refused}");
    }
    let lost = PayoutRequest { files: vec![file], ..request("rent-3", Fund::ByHand) };
    life.place(&lost).await;
    bench.drawer.empty();
    let view = life.until_state("rent-3", "review").await;
    assert_eq!(view.review.as_deref(), Some("file_lost"));
    life.handle.put_attachment(content, "application/pdf").await.unwrap();
    life.handle.retry_payout("rent-3", "put again").await.unwrap();
    life.until_state("rent-3", "created").await;
    life.stop().await;
}

#[tokio::test]
async fn files_are_kept_under_their_digest_and_closed_to_others() {
    let folder = temp_dir();
    let place = folder.path().join("store/attachments");
    let files = AttachmentFiles::new(AttachmentSettings { folder: place.clone() });
    let content = b"abc".to_vec();
    let digest = files.put(content.clone()).await.unwrap();
    // The digest that FIPS 180-4 gives for "abc".
    let known: B256 = "0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".parse().unwrap();
    assert_eq!(digest, known);
    assert_eq!(files.put(content.clone()).await.unwrap(), digest);
    assert_eq!(files.get(digest).await.unwrap(), content);
    let entries: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(entries.len(), 1, "nothing half-written is left");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&entries[0].path()), mode(&place)), (0o600, 0o700));
    assert_eq!(files.get(B256::ZERO).await, Err(AttachmentError::Missing(B256::ZERO)));
    std::fs::write(entries[0].path(), b"abd").unwrap();
    assert_eq!(files.get(digest).await, Err(AttachmentError::Changed(digest)));
    // Putting it again mends it.
    assert_eq!(files.put(content.clone()).await.unwrap(), digest);
    assert_eq!(files.get(digest).await.unwrap(), content);
}
