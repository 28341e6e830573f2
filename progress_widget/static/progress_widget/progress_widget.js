// Hidden tabs do not poll; when one is shown again, its bars poll at once.
{
  const holdBack = (event) => {
    const element = event.target;
    if (document.hidden && element instanceof Element && element.closest("[data-progress-widget]")) {
      event.preventDefault();
    }
  };
  document.addEventListener("htmx:beforeRequest", holdBack); // htmx 2
  document.addEventListener("htmx:before:request", holdBack); // htmx 4

  // The style element that htmx 2 would add is refused by a strict Content-Security-Policy.
  if (window.htmx && !document.querySelector('meta[name="htmx-config"]')) {
    window.htmx.config.includeIndicatorStyles = false;
  }
}
