# The template's: its updates change this file, and keep what you change in it.
# Installs what renv.lock names, when the image is built. In RStudio, renv::restore() does the same.

library <- Sys.getenv("R_LIBS")
dir.create(library, recursive = TRUE, showWarnings = FALSE)
.libPaths(c(library, .libPaths()))

# The lock file's repositories; RENV_CONFIG_REPOS_OVERRIDE is renv's way to take another
repositories <- Sys.getenv("RENV_CONFIG_REPOS_OVERRIDE")
if (repositories == "") {
  urls <- grep('"URL":', readLines("renv.lock", warn = FALSE), value = TRUE)
  repositories <- sub('.*"URL": *"([^"]*)".*', "\\1", urls)
}

# Whether a repository's list of packages can be read
answers <- function(repository) {
  list <- tempfile()
  address <- paste0(repository, "/src/contrib/PACKAGES")
  isTRUE(suppressWarnings(try(download.file(address, list, quiet = TRUE), silent = TRUE) == 0))
}

stop_build <- function(why) {
  unreachable <- Filter(Negate(answers), repositories)
  if (length(unreachable) > 0) {
    why <- paste0("the package repository ", unreachable[[1]], " cannot be reached (", why, ")")
  } else {
    why <- paste0(why, " (looked in ", paste(repositories, collapse = ", "), ")")
  }
  message("error: the packages of renv.lock cannot be installed: ", why)
  quit(save = "no", status = 1)
}

tryCatch(
  {
    if (!requireNamespace("renv", quietly = TRUE)) {
      utils::install.packages("renv", lib = library, repos = repositories)
      loadNamespace("renv")
    }
    renv::restore(prompt = FALSE)
  },
  error = function(error) stop_build(conditionMessage(error))
)
