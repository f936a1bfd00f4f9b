//! The tree of categories.

use std::collections::{BTreeMap, BTreeSet};

use merx_contracts::ids::CategoryId;
use merx_kernel::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LocalText, Slug};

/// The most categories of a shop.
pub const CATEGORIES_MAX: usize = 1000;
/// The most levels.
pub const DEPTH_MAX: usize = 5;
/// The most attributes a category adds to those of its parents.
pub const CATEGORY_ATTRIBUTES_MAX: usize = 30;

/// An attribute of the products of a category and of those below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategoryAttribute {
    /// The attribute's code.
    pub code: Slug,
    /// Whether a product must have it to be published.
    #[serde(default)]
    pub required: bool,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// Its identity.
    pub id: CategoryId,
    /// The category it lies in, if any.
    pub parent: Option<CategoryId>,
    /// Its place among its siblings, from 0.
    pub ordinal: i64,
    /// Its name in links; unique.
    pub slug: Slug,
    /// Its name.
    pub name: LocalText<80>,
    /// Its own attributes.
    pub attributes: Vec<CategoryAttribute>,
    /// Rises with every change.
    pub version: i64,
}

/// All categories.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    categories: BTreeMap<CategoryId, Category>,
    children: BTreeMap<Option<CategoryId>, Vec<CategoryId>>,
}

impl Tree {
    /// The tree of `categories`.
    pub fn new(categories: Vec<Category>) -> Self {
        let mut tree = Self::default();
        for category in categories {
            tree.categories.insert(category.id, category);
        }
        for category in tree.categories.values() {
            tree.children.entry(category.parent).or_default().push(category.id);
        }
        for siblings in tree.children.values_mut() {
            siblings.sort_by_key(|id| (tree.categories.get(id).map(|c| c.ordinal), *id));
        }
        tree
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.categories.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }
    /// One of them.
    pub fn get(&self, id: CategoryId) -> Option<&Category> {
        self.categories.get(&id)
    }
    /// The one with this slug.
    pub fn by_slug(&self, slug: &Slug) -> Option<&Category> {
        self.categories.values().find(|c| c.slug == *slug)
    }
    /// The categories in `parent`, in order; the topmost without one.
    pub fn children(&self, parent: Option<CategoryId>) -> &[CategoryId] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }
    /// From the topmost down to `id` itself; empty when there is no such category.
    pub fn path(&self, id: CategoryId) -> Vec<&Category> {
        let mut path = Vec::new();
        let mut next = self.get(id);
        while let Some(category) = next {
            path.push(category);
            // The rules keep cycles out; a row changed by hand must not hang us.
            next = category.parent.filter(|_| path.len() <= DEPTH_MAX).and_then(|p| self.get(p));
        }
        path.reverse();
        path
    }
    /// `id` and everything below it.
    pub fn below(&self, id: CategoryId) -> BTreeSet<CategoryId> {
        let mut found = BTreeSet::from([id]);
        let mut next = vec![id];
        while let Some(parent) = next.pop() {
            next.extend(self.children(Some(parent)).iter().filter(|child| found.insert(**child)));
        }
        found
    }
    /// Every category, parents before children, siblings in order.
    pub fn walk(&self) -> Vec<&Category> {
        let mut out = Vec::with_capacity(self.len());
        let mut next: Vec<CategoryId> = self.children(None).iter().rev().copied().collect();
        while let Some(id) = next.pop() {
            out.extend(self.get(id));
            next.extend(self.children(Some(id)).iter().rev());
        }
        out
    }
    /// The attributes of products of `id`: its own and those of the categories above, the upper first. Required
    /// anywhere is required.
    pub fn attributes(&self, id: CategoryId) -> Vec<CategoryAttribute> {
        let mut all: Vec<CategoryAttribute> = Vec::new();
        for attribute in self.path(id).into_iter().flat_map(|c| &c.attributes) {
            match all.iter_mut().find(|a| a.code == attribute.code) {
                Some(known) => known.required |= attribute.required,
                None => all.push(attribute.clone()),
            }
        }
        all
    }

    fn levels(&self, id: CategoryId) -> usize {
        let mut levels = 0;
        let mut row = vec![id];
        while !row.is_empty() && levels <= DEPTH_MAX {
            levels += 1;
            row = row.iter().flat_map(|id| self.children(Some(*id))).copied().collect();
        }
        levels
    }

    /// Puts `id`, new or known, into `parent` at `position` (the end unless told). Answers the new order of that
    /// parent's children.
    ///
    /// # Errors
    /// `Invalid` for a parent that does not exist; `catalogue.category_cycle`, `catalogue.category_too_deep`.
    pub fn place(
        &self,
        id: CategoryId,
        parent: Option<CategoryId>,
        position: Option<u32>,
    ) -> Result<Vec<CategoryId>> {
        if let Some(parent) = parent {
            if self.get(parent).is_none() && parent != id {
                return Err(Error::invalid("/parent_id", "there is no such category"));
            }
            if self.below(id).contains(&parent) {
                return Err(Error::conflict(
                    "catalogue.category_cycle",
                    "A category cannot lie in itself or in one that lies in it.",
                ));
            }
        }
        let above = parent.map_or(0, |p| self.path(p).len());
        if above + self.levels(id) > DEPTH_MAX {
            return Err(Error::conflict(
                "catalogue.category_too_deep",
                format!("Categories lie at most {DEPTH_MAX} levels deep."),
            ));
        }
        let mut order: Vec<CategoryId> =
            self.children(parent).iter().copied().filter(|sibling| *sibling != id).collect();
        let end = order.len();
        let position = position.and_then(|p| usize::try_from(p).ok()).unwrap_or(end).min(end);
        order.insert(position, id);
        Ok(order)
    }
}
