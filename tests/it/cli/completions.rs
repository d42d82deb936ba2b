//! `rampwatch completions`: each shell's script knows every command, and the shell reads it.

use tokio::process::Command;

use super::Place;

#[tokio::test]
async fn every_shell_gets_every_command() {
    let place = Place::offline();
    std::fs::remove_file(place.path("config.toml")).unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).await.data();
        for word in ["doctor", "backup", "restore", "wallet", "pause", "--into", "deposits"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell} has no {word}");
        }
    }
    place.run(&["completions", "cmd"]).await.fails(2, &["invalid value 'cmd'", "bash"]);
}

#[tokio::test]
async fn bash_completes_with_it() {
    let place = Place::offline();
    place.write("completions.bash", &place.run(&["completions", "bash"]).await.data());
    let asked = "source ./completions.bash; COMP_WORDS=(rampwatch store ''); COMP_CWORD=2; \
                 _rampwatch rampwatch '' store; echo \"${COMPREPLY[@]}\"";
    let output =
        Command::new("bash").args(["--norc", "-c", asked]).current_dir(place.path(".")).output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for word in ["backup", "restore", "check"] {
        assert!(said.contains(word), "{said:?} {}", String::from_utf8_lossy(&output.stderr));
    }
}
