use larder::invalidates;

#[invalidates]
async fn nothing(id: u64) -> u64 {
    id
}

#[invalidates("menu")]
async fn no_option(id: u64) -> u64 {
    id
}

#[invalidates(tag = ["menu"], entry = menu_entry(id), in_trait, ttl = 60)]
async fn unknown(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["{idd}", "{self.id}", "{}", 7], tags = ["menu"])]
async fn tags(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["{id}"])]
async fn without_arguments() -> u64 {
    1
}

#[invalidates(entries = menu_entry(1))]
async fn not_a_list(id: u64) -> u64 {
    id
}

#[invalidates(functions = menu)]
async fn not_a_list_of_functions(id: u64) -> u64 {
    id
}

#[invalidates(function = menu(id))]
async fn not_a_path(id: u64) -> u64 {
    id
}

#[invalidates(functions = [menu_clear, menus::menu_clear], entries = [menu(id)])]
async fn what_clears_it(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu"], expire = true, strict(always), when = true)]
async fn flags(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu"], when = |result, id| result == id)]
async fn two_arguments(id: u64) -> u64 {
    id
}

#[invalidates(entries = [menu_entry(id).await, menu_entry(id)?], tags = [return], cache = result.cache)]
async fn detours(id: u64) -> u64 {
    id
}

#[invalidates(tags = ["menu"])]
async fn shadows(result: u64) -> u64 {
    result
}

#[invalidates(tags = ["menu"])]
fn not_async(id: u64) -> u64 {
    id
}

struct Repo {
    id: u64,
}

impl Repo {
    #[invalidates(entries = [menu_entry(result + self.id)], when = |result| *result > self.id)]
    async fn takes_itself_along(&mut self) -> u64 {
        self.id
    }
}

#[invalidates(tags = ["menu"])]
struct NotAFunction;

trait Renames {
    #[invalidates(tags = ["menu"])]
    async fn rename(&self);
}

fn main() {}
