// An adapter on its base: two layers. Lab's classes colour it in each theme.

import { LabIcon } from "@jupyterlab/ui-components";

export const icon = new LabIcon({
  name: "adaptery:icon",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 3 2.5 8.2 12 13.4l9.5-5.2z"/>
    <path d="m5.2 11.6-2.7 1.5L12 18.3l9.5-5.2-2.7-1.5-6.8 3.7z"/>
    <path d="m5.2 16.3-2.7 1.5L12 23l9.5-5.2-2.7-1.5L12 20z"/>
  </g>
</svg>`,
});
