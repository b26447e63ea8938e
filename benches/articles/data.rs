//! What the site begins with: articles of some KiB, read and commented on the more the newer they are.

use std::path::Path;

use rusqlite::Connection;

pub(crate) const ARTICLES: u64 = 500;
/// Users who write articles.
pub(crate) const AUTHORS: u64 = 50;
/// Users who comment and like; the authors are among them.
pub(crate) const USERS: u64 = 1_000;

/// Comments on an article at first: 4 to 40 of them.
pub(crate) fn comments_on(id: u64) -> u64 {
    if id > ARTICLES { 0 } else { 4 + 36 * id / ARTICLES }
}

/// Who likes it at first: 5 to 250 users.
pub(crate) fn favorites_of(id: u64) -> u64 {
    if id > ARTICLES { 0 } else { 250 / (1 + (ARTICLES - id) / 10) }
}

/// Some text, different for each `seed`.
pub(crate) fn text(seed: u64, length: usize) -> String {
    const WORDS: [&str; 8] = ["the ", "cache ", "of ", "an ", "article ", "is ", "seldom ", "wrong "];
    let words = (0..).map(|at: u64| WORDS[((seed + 7 * at) ^ (at / 8)) as usize % WORDS.len()]);
    let mut text = String::with_capacity(length + 8);
    words
        .take_while(|word| {
            text.push_str(word);
            text.len() < length
        })
        .for_each(drop);
    text
}

pub(crate) fn create(file: &Path) {
    let mut db = Connection::open(file).unwrap();
    db.execute_batch(
        "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL, bio TEXT NOT NULL, image TEXT NOT NULL,
             revision INTEGER NOT NULL);
         CREATE TABLE article (id INTEGER PRIMARY KEY, author INTEGER NOT NULL, title TEXT NOT NULL,
             description TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL, revision INTEGER NOT NULL);
         CREATE INDEX article_by_author ON article (author);
         CREATE TABLE favorite (article INTEGER NOT NULL, user INTEGER NOT NULL, PRIMARY KEY (article, user)) WITHOUT ROWID;
         CREATE TABLE comment (id INTEGER PRIMARY KEY, article INTEGER NOT NULL, author INTEGER NOT NULL, body TEXT NOT NULL);
         CREATE INDEX comment_by_article ON comment (article);",
    )
    .unwrap();
    let all = db.transaction().unwrap();
    for id in 0..USERS {
        let image = format!("https://img.example/{id}.png");
        all.execute(
            "INSERT INTO user VALUES (?1, ?2, ?3, ?4, 0)",
            (id, format!("user {id}"), text(id, 120), image),
        )
        .unwrap();
    }
    for id in 1..=ARTICLES {
        let row = (id, id % AUTHORS, text(id, 40), text(id, 120), text(id, 4096));
        all.execute("INSERT INTO article VALUES (?1, ?2, ?3, ?4, 'rust web cache', ?5, 0)", row).unwrap();
        for n in 0..favorites_of(id) {
            all.execute("INSERT INTO favorite VALUES (?1, ?2)", (id, (id + n) % USERS)).unwrap();
        }
        for n in 0..comments_on(id) {
            let row = (id, (id * 31 + n * 17) % USERS, text(n, 200));
            all.execute("INSERT INTO comment (article, author, body) VALUES (?1, ?2, ?3)", row).unwrap();
        }
    }
    all.commit().unwrap();
}
