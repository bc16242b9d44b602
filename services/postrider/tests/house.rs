//! The house stands: imports go only down the floors, packages stay with their owners, nothing is
//! re-exported, and no crate below `postrider` knows of the sandbox command.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where what it stands on breaks"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct House {
    floors: Vec<Vec<String>>,
    sideways: Vec<(String, String)>,
    owners: HashMap<String, Vec<String>>,
}

impl House {
    fn floor(&self, package: &str) -> Option<usize> {
        self.floors
            .iter()
            .position(|floor| floor.iter().any(|name| name == package))
    }
}

struct Package {
    name: String,
    folder: PathBuf,
    /// Name and kind (`normal`, `dev`, `build`) of each direct dependency.
    dependencies: Vec<(String, String)>,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn house() -> House {
    let text = std::fs::read_to_string(workspace().join(".ci/floors.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

fn packages(workspace: &Path) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(workspace.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("normal").to_owned();
    let package = |package: &Value| Package {
        name: text(&package["name"]),
        folder: Path::new(&text(&package["manifest_path"]))
            .parent()
            .unwrap()
            .to_owned(),
        dependencies: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|dependency| (text(&dependency["name"]), text(&dependency["kind"])))
            .collect(),
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(package)
        .collect()
}

/// Every way in which these packages break the house's rules.
fn violations(house: &House, packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Some(floor) = house.floor(&package.name) else {
            found.push(format!("{} stands on no floor", package.name));
            continue;
        };
        for (dependency, kind) in &package.dependencies {
            let drawn = house
                .sideways
                .contains(&(package.name.clone(), dependency.clone()));
            if house.floor(dependency).is_some_and(|other| other >= floor) && !drawn {
                found.push(format!(
                    "{} → {dependency} goes up or sideways",
                    package.name
                ));
            }
            let owners = house.owners.get(dependency).filter(|_| kind == "normal");
            if owners.is_some_and(|owners| !owners.contains(&package.name)) {
                found.push(format!("{dependency} is not for {}", package.name));
            }
        }
        found.extend(re_exports(house, package));
    }
    found
}

fn re_exports(house: &House, package: &Package) -> Vec<String> {
    let known = house.floors.iter().flatten().chain(house.owners.keys());
    let crates: Vec<String> = known.map(|name| name.replace('-', "_")).collect();
    let mut found = Vec::new();
    for file in sources(&package.folder.join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines().map(str::trim_start) {
            let path = line
                .strip_prefix("pub use ")
                .or(line.strip_prefix("pub extern crate "));
            let root = path.map(|path| {
                path.trim_start_matches("::")
                    .split([':', ';', ' '])
                    .next()
                    .unwrap_or("")
            });
            if root.is_some_and(|root| crates.iter().any(|name| name == root)) {
                found.push(format!("{}: {line} hides an arrow", file.display()));
            }
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn imports_go_down() {
    let found = violations(&house(), &packages(&workspace()));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_planted_violation_of_each_kind_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"a\", \"b\", \"c\", \"d\"]\n",
    );
    let crates = [
        ("a", "low", "middle = { path = \"../b\" }\n", ""),
        (
            "b",
            "middle",
            "peer = { path = \"../c\" }\n",
            "pub use peer::Thing;\n",
        ),
        ("c", "peer", "sqlx = \"0.9\"\n", ""),
        ("d", "nowhere", "", ""),
    ];
    for (folder, name, dependencies, source) in crates {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}"
        );
        write(&format!("{folder}/Cargo.toml"), &manifest);
        write(&format!("{folder}/src/lib.rs"), source);
    }
    let house: House = toml::from_str(
        "floors = [[\"low\"], [\"middle\", \"peer\"]]\nsideways = []\n[owners]\nsqlx = [\"middle\"]\n",
    )
    .unwrap();
    let found = violations(&house, &packages(folder.path()));
    for want in [
        "low → middle goes up or sideways",
        "middle → peer goes up or sideways",
        "pub use peer::Thing; hides an arrow",
        "sqlx is not for peer",
        "nowhere stands on no floor",
    ] {
        assert!(
            found.iter().any(|violation| violation.contains(want)),
            "{want}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn no_crate_below_the_binary_knows_the_sandbox_command() {
    let below = packages(&workspace())
        .into_iter()
        .filter(|package| package.name != "postrider");
    for file in below.flat_map(|package| sources(&package.folder.join("src"))) {
        let text = std::fs::read_to_string(&file).unwrap();
        // The system's own folder is another matter.
        let knows = text
            .replace("/dev/", "/")
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == "dev");
        assert!(!knows, "{} says «dev»", file.display());
    }
}
