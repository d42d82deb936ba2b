//! A configuration that is wrong: told once, with the key that is wrong, and without secrets.

use super::Place;

#[tokio::test]
async fn every_command_refuses_a_wrong_configuration() {
    let place = Place::offline();
    place.edit("decimals = 6\n\n[[chain.other_tokens]]", "decimals = 66\n\n[[chain.other_tokens]]");
    for command in [
        &["run"][..],
        &["list"],
        &["show", "p"],
        &["deposits"],
        &["reviews"],
        &["why", "p"],
        &["add", "p", "r"],
        &["resolve", "retry", "p", "--reason", "r"],
        &["fund", "p", "--yes"],
        &["orders"],
        &["approve", "p:1", "--reason", "r"],
        &["reject", "p:1", "--reason", "r"],
        &["cancel", "p:1", "--reason", "r"],
        &["wallet", "balance"],
        &["wallet", "status"],
        &["wallet", "pause", "--reason", "r"],
        &["wallet", "returns"],
        &["config", "check"],
    ] {
        place.run(command).await.fails(3, &["chain.token.decimals", "66"]);
    }
    assert!(!place.path("rampwatch-data").exists(), "nothing was opened");
}

#[tokio::test]
async fn variables_override_and_are_checked() {
    let place = Place::offline();
    let mut command = place.command(&["list"]);
    let output = command.env("RAMPWATCH__MATCHING__SKEW", "a while").output().await.unwrap();
    super::Ran::of(output).fails(3, &["matching.skew", "RAMPWATCH__MATCHING__SKEW"]);
    let mut command = place.command(&["list"]);
    let output = command.env("RAMPWATCH__STORE__PATH", "elsewhere").output().await.unwrap();
    super::Ran::of(output).fails(6, &["there is no store at", "elsewhere (store.path)"]);
}

#[tokio::test]
async fn secrets_in_a_wrong_configuration_are_not_shown() {
    let place = Place::offline();
    place.edit("http://127.0.0.1:9/", "gopher://127.0.0.1:9/");
    place.run(&["config", "check"]).await.fails(3, &["rpc.endpoints[0].http"]);
}

#[tokio::test]
async fn config_check_names_what_cannot_be_reached_without_its_key() {
    let place = Place::offline();
    let ran = place.run(&["config", "check"]).await;
    ran.fails(6, &["no RPC endpoint can be reached", "primary"]);
    assert!(!place.path("rampwatch-data").exists(), "a check opens no store");
}

#[tokio::test]
async fn the_key_is_asked_for_only_where_it_is_needed() {
    let place = Place::offline();
    place.run_without_key(&["run"]).await.fails(3, &["RAMPWATCH_API_KEY"]);
    place.run_without_key(&["config", "check"]).await.fails(3, &["RAMPWATCH_API_KEY"]);
    place.add("pay-1", 1, "5").await.data();
    place.run_without_key(&["list"]).await.data();
}

#[tokio::test]
async fn config_check_tells_a_store_that_cannot_be_kept() {
    let place = Place::offline();
    place.write("file", "in the way");
    place.edit("\"rampwatch-data\"", "\"file\"");
    place.run(&["config", "check"]).await.fails(3, &["store.path is", "file, which is not a folder"]);
    place.run(&["run"]).await.fails_among_logs(3, "store.path is");
    place.edit("path = \"file\"", "path = \"file/below\"");
    place.run(&["config", "check"]).await.fails(3, &["store.path is", "file/below", "ot a directory"]);
    std::fs::create_dir(place.path("shut")).unwrap();
    std::fs::set_permissions(place.path("shut"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
    // For root every folder is open, and there is nothing to see.
    if std::fs::File::create(place.path("shut/probe")).is_err() {
        for path in ["shut", "shut/below"] {
            let mut command = place.command(&["config", "check"]);
            let output = command.env("RAMPWATCH__STORE__PATH", path).output().await.unwrap();
            super::Ran::of(output).fails(3, &["store.path is", path, "ermission denied"]);
        }
    }
}
