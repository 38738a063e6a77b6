//! The rules of `migrations/README.md`, as far as a test can hold them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};

/// The first bytes of the SHA-256 of each file. A released migration has run in somebody's database: a change of it reaches
/// nobody.
const CHECKSUMS: [(&str, &str); 32] = [
    ("postgres/2026-11-22-000000_create_customers/down.sql", "a0cfc0d725208707"),
    ("postgres/2026-11-22-000000_create_customers/up.sql", "5ef096a715a65bb6"),
    ("postgres/2026-11-26-120000_remember_garbage/down.sql", "ab00848862c4a611"),
    ("postgres/2026-11-26-120000_remember_garbage/up.sql", "ab00848862c4a611"),
    ("postgres/2026-11-30-120000_note_sealers/down.sql", "3733f910abb78990"),
    ("postgres/2026-11-30-120000_note_sealers/up.sql", "02dedba9e655f3d1"),
    ("postgres/2026-11-30-150000_limit_keys/down.sql", "d70223e6981aa90f"),
    ("postgres/2026-11-30-150000_limit_keys/up.sql", "d1653d2ff13e835f"),
    ("postgres/2026-11-30-180000_add_events/down.sql", "b46a66e5b75934f6"),
    ("postgres/2026-11-30-180000_add_events/up.sql", "02e309f72a735231"),
    ("postgres/2026-12-01-060000_prune_by_age/down.sql", "4145c8db1f1c7714"),
    ("postgres/2026-12-01-060000_prune_by_age/up.sql", "e8d7939836840d4e"),
    ("postgres/2026-12-01-090000_add_webhooks/down.sql", "9066a8897a4c0d66"),
    ("postgres/2026-12-01-090000_add_webhooks/up.sql", "a7b09410f564ac3d"),
    ("postgres/2026-12-01-130000_leave_events_by_group/down.sql", "f98376df219ca29f"),
    ("postgres/2026-12-01-130000_leave_events_by_group/up.sql", "6357679c177e1052"),
    ("sqlite/2026-11-22-000000_create_customers/down.sql", "e1900c2c9c1a4018"),
    ("sqlite/2026-11-22-000000_create_customers/up.sql", "e85ce6759050ef42"),
    ("sqlite/2026-11-26-120000_remember_garbage/down.sql", "b2ba44cc86381fb7"),
    ("sqlite/2026-11-26-120000_remember_garbage/up.sql", "f51207fd28dbb713"),
    ("sqlite/2026-11-30-120000_note_sealers/down.sql", "3733f910abb78990"),
    ("sqlite/2026-11-30-120000_note_sealers/up.sql", "c78bc4691e58230b"),
    ("sqlite/2026-11-30-150000_limit_keys/down.sql", "d70223e6981aa90f"),
    ("sqlite/2026-11-30-150000_limit_keys/up.sql", "27516a49ccf37d92"),
    ("sqlite/2026-11-30-180000_add_events/down.sql", "bc0d57613d468e55"),
    ("sqlite/2026-11-30-180000_add_events/up.sql", "d4e945df9bc473c8"),
    ("sqlite/2026-12-01-060000_prune_by_age/down.sql", "4145c8db1f1c7714"),
    ("sqlite/2026-12-01-060000_prune_by_age/up.sql", "a0d68561f7bfbe58"),
    ("sqlite/2026-12-01-090000_add_webhooks/down.sql", "9066a8897a4c0d66"),
    ("sqlite/2026-12-01-090000_add_webhooks/up.sql", "7adeac408b7ade95"),
    ("sqlite/2026-12-01-130000_leave_events_by_group/down.sql", "ef0ec28bc90b0008"),
    ("sqlite/2026-12-01-130000_leave_events_by_group/up.sql", "31a1019fbc481f65"),
];

/// Every file of every migration: its path below `migrations`, and its content.
fn files() -> BTreeMap<String, Vec<u8>> {
    let below = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let migrations = below(&root).into_iter().flat_map(|engine| below(&engine));
    let entries = migrations.flat_map(|migration| fs::read_dir(migration).unwrap());
    let read = |path: PathBuf| {
        (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

#[test]
fn every_migration_goes_both_ways() {
    let files = files();
    for file in files.keys() {
        let migration = file.rsplit_once('/').unwrap().0;
        for direction in ["up.sql", "down.sql"] {
            let sql = files.get(&format!("{migration}/{direction}"));
            assert!(sql.is_some_and(|sql| !sql.trim_ascii().is_empty()), "{migration} lacks {direction}");
        }
    }
}

#[test]
fn no_released_migration_is_changed() {
    let found: BTreeMap<_, _> = files()
        .into_iter()
        .map(|(file, content)| (file, hex::encode(&digest(&SHA256, &content).as_ref()[..8])))
        .collect();
    for (file, checksum) in &found {
        let known = CHECKSUMS.iter().find(|(known, _)| known == file);
        let (_, known) = known.unwrap_or_else(|| panic!("a new migration: add (\"{file}\", \"{checksum}\")"));
        assert_eq!(checksum, known, "{file} was changed: write a new migration instead");
    }
    assert_eq!(found.len(), CHECKSUMS.len(), "a migration is gone");
}
