# Yours: no update of the template changes this file.
# How a script ends, and how it reads its environment variables.

# Do the work, and end R. What the work returns goes to standard output, and an error to standard
# error, in one sentence. The exit code is 0, or 2 for a wrong variable, or 1 for any other error.
main <- function(work) {
  options(warn = 1) # show warnings when they happen
  status <- tryCatch(
    {
      writeLines(work())
      0L
    },
    wrong_variable = function(error) ended_by(conditionMessage(error), 2L),
    s3_failed = function(error) ended_by(conditionMessage(error), 1L),
    error = function(error) ended_by(paste0(conditionMessage(error), where(error)), 1L),
    interrupt = function(signal) stopped()
  )
  quit(save = "no", status = status)
}

# Ctrl-C, or a container that the cluster stops. R has no function for SIGTERM, which the cluster
# means: the Dockerfile's STOPSIGNAL makes it SIGINT for the first process of the container.
stopped <- function() {
  first <- Sys.getpid() == 1L
  if (first) ended_by("stopped by SIGTERM", 143L) else ended_by("stopped by SIGINT", 130L)
}

ended_by <- function(sentence, status) {
  message("error: ", sentence)
  status
}

# The call that an error came from, to find it by
where <- function(error) {
  call <- conditionCall(error)
  if (is.null(call)) "" else paste0(" (in ", deparse(call, nlines = 1L)[[1]], ")")
}

# The value of an environment variable, which must have one
value_of <- function(name) {
  value <- Sys.getenv(name)
  if (value == "") {
    wrong_variable("the environment variable ", name, " is missing or empty")
  }
  value
}

# The S3 path that an environment variable holds
path_of <- function(name) {
  path <- value_of(name)
  if (!grepl("\\As3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?s:.*)[^/]\\z", path, perl = TRUE)) {
    wrong_variable(
      name,
      " is ",
      quoted(path),
      ", but must be a file in S3, such as s3://bucket/folder/file.txt"
    )
  }
  path
}

wrong_variable <- function(...) {
  stop(errorCondition(paste0(...), class = "wrong_variable"))
}

quoted <- function(text) encodeString(text, quote = "'")
