/** A person as a service names them. */
export interface Who {
  subject: string;
  display: string;
}
