//! The password of an order's page, and the links that contain it: shown by one method and found nowhere
//! else.

use std::fs;
use std::path::Path;

use purveyor_sdk::v1::GetOrderSecretsRequest;

use super::stage::{self, ORDER, paypal, provider, quarter};
use crate::support::client::succeeded;
use crate::support::configuration;
use crate::support::program::Program;

#[tokio::test]
async fn a_password_is_shown_by_one_method_and_kept_nowhere() {
    let upstream = stage::upstream().await;
    let configuration = configuration().log_filter("trace").provider("ovh", provider(&upstream));
    let program = Program::start(configuration);
    let client = program.client().await;
    let request = quarter(&client, paypal()).await;
    let accepted = client.renewals().create_renewal(request).await.expect("accepted").into_inner();
    let done = succeeded(client.done(&accepted.name).await);

    let request = GetOrderSecretsRequest { name: ORDER.to_owned() };
    let secrets = client.orders().get_order_secrets(request).await.expect("shown").into_inner();
    let password = secrets.password.as_str();
    assert_eq!(password, "aBcD123456789");
    assert!(secrets.url.contains(password) && secrets.pdf_url.contains(password), "{secrets:?}");

    let order = client.get_order(ORDER).await.expect("it is there");
    assert!(order.has_secrets);
    let shown = format!(
        "{order:?} {:?} {done:?} {:?}",
        client.all_orders("ovh").await,
        client.all_operations().await
    );
    assert!(shown.contains("123456789") && !shown.contains(password), "{shown}");

    let folder = program.kill();
    let files = files(folder.path());
    let has = |word: &str| {
        let with = files.iter().filter(|(_, bytes)| holds(bytes, word.as_bytes()));
        with.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert!(has("123456789").iter().any(|name| name.starts_with("purveyor.db")), "the store");
    assert!(has("the secrets of an order are shown").contains(&"gateway.log"), "the log");
    assert_eq!(has(password), [""; 0]);
}

/// Every file of a gateway's folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the folder is there").map(|it| it.expect("a file"));
    let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
    let read = |entry: fs::DirEntry| {
        let bytes = fs::read(entry.path()).expect("it can be read");
        (entry.file_name().to_string_lossy().into_owned(), bytes)
    };
    files.map(read).collect()
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
